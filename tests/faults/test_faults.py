"""A short run of the fault harness; `make faults` makes the long ones."""

from tests.faults.plan import KINDS, accidents, calls
from tests.faults.run import run


def test_a_seed_draws_the_same_run_each_time_and_nine_in_a_row_see_every_accident():
    firsts = [{accident.kind for accident in accidents(seed, 1)} for seed in range(1, 10)]

    assert calls(7, 50) == calls(7, 50) != calls(8, 50)
    assert accidents(7, 6) == accidents(7, 6) != accidents(8, 6)
    assert set().union(*firsts) == set(KINDS)


def test_after_killed_processes_and_lost_counters_all_books_agree(tmp_path):
    said = []

    # Of this seed's accidents one kills a web process whose usage is in the spool.
    problems = run(8, tmp_path, call_count=700, accident_count=2, clients=8, say=said.append)

    assert problems == [], "\n".join([*said, *problems])
