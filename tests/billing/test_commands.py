"""The operator's command line: one clear sentence, JSON for programs, and a failing exit when it can't."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.billing import demo
from apps.identity import selectors as people
from apps.keys import selectors as keys
from apps.tenancy import selectors as tenants
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantState
from tests.factories import usage
from tests.factories.selling import CATALOGUE, NOW


def run(*words):
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue().rstrip("\n")


def test_a_tenant_goes_through_its_life_by_commands(selling):
    made = run(
        "tenant",
        "create",
        "umbrella",
        "--name",
        "Umbrella",
        "--plan",
        "solo",
        "--owner",
        "o@umbrella.example",
    )
    changed = run("tenant", "set-plan", "umbrella", "team")
    again = run("tenant", "set-plan", "umbrella", "team")
    suspended = run("tenant", "suspend", "umbrella", "--reason", "unpaid")
    resumed = run("tenant", "resume", "umbrella", "--reason", "paid")
    listed = run("tenant", "list")
    deleted = run("tenant", "delete", "umbrella", "--reason", "they left")

    assert (
        made
        == "Tenant umbrella is ready on the plan solo, at umbrella.localhost. o@umbrella.example owns it."
    )
    assert changed == "Tenant umbrella is on the plan team from now on."
    assert again == "Tenant umbrella is on team already."
    assert suspended == "Tenant umbrella is suspended: its next call is refused."
    assert resumed == "Tenant umbrella is served again."
    assert "umbrella                 ready         team             Umbrella" in listed
    assert deleted.startswith("Tenant umbrella is not served any more; its data is erased on ")
    assert tenants.tenant_by_slug("umbrella").state is TenantState.DELETING


def test_each_action_speaks_json(selling):
    made = json.loads(
        run(
            "tenant",
            "create",
            "umbrella",
            "--name",
            "U",
            "--plan",
            "solo",
            "--owner",
            "o@u.example",
            "--json",
        )
    )
    listed = json.loads(run("tenant", "list", "--json"))

    assert made.pop("took_ms") >= 0
    assert made == {
        "id": str(tenants.tenant_by_slug("umbrella").id),
        "slug": "umbrella",
        "state": "ready",
        "plan": "solo",
        "host": "umbrella.localhost",
        "owner": "o@u.example",
    }
    assert [row["plan"] for row in listed if row["slug"] == "umbrella"] == ["solo"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["tenant", "create", "acme", "--name", "A", "--plan", "solo", "--owner", "a@b.example"],
            "A tenant with the slug acme exists already. Choose another slug.",
        ),
        (
            ["tenant", "create", "new", "--name", "A", "--plan", "gold", "--owner", "a@b.example"],
            "There is no plan gold. `manage.py catalogue export` lists the plans.",
        ),
        (
            ["tenant", "create", "No!", "--name", "A", "--plan", "solo", "--owner", "a@b.example"],
            "'No!' cannot be a slug.",
        ),
        (["tenant", "set-plan", "nobody", "solo"], "There is no tenant nobody."),
        (["tenant", "set-plan", "acme", "solo"], "Tenant acme has no subscription. Give it a plan first."),
        (
            ["tenant", "resume", "acme", "--reason", "x"],
            "Tenant acme is ready; that can only be done to one that is suspended.",
        ),
        (["catalogue", "apply", "/no/such/file"], "/no/such/file cannot be read: No such file or directory."),
        (["rollups", "rebuild", "acme", "soon"], "soon is not a month like 2026-11."),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(selling, acme, words, sentence):
    with pytest.raises(CommandError) as refused:
        run(*words)

    assert str(refused.value).startswith(sentence)


def test_a_catalogue_file_is_applied_shown_and_written_out(control, tmp_path, settings):
    settings.CATALOGUE_ENVIRONMENT = {"NORTH_URL": "https://north.example/v1", "TEST": "sk-test"}.get
    (tmp_path / "north.key").write_text("sk-from-a-file\n")
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE.replace("env:NORTH_KEY", "file:north.key"))

    dry = run("catalogue", "apply", str(path), "--dry-run")
    applied = run("catalogue", "apply", str(path))
    again = run("catalogue", "apply", str(path), "--json")
    exported = run("catalogue", "export")

    assert dry.endswith("8 changes would be made. Nothing was changed.")
    assert applied.endswith("8 changes made; 0 subscriptions follow a new plan version.")
    assert json.loads(again)["changes"] == []
    assert "    credential: file:north.key\n" in exported
    assert "sk-from-a-file" not in exported
    (tmp_path / "exported.yaml").write_text(exported)
    assert json.loads(run("catalogue", "apply", str(tmp_path / "exported.yaml"), "--json"))["changes"] == []


def test_a_refused_file_names_every_line(control, tmp_path, settings):
    settings.CATALOGUE_ENVIRONMENT = {}.get
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE)

    with pytest.raises(CommandError) as refused:
        run("catalogue", "apply", str(path))

    assert str(refused.value) == (
        "Nothing was changed, because the catalogue cannot be applied:\n"
        "  line 4: providers, north: `base_url` the environment variable NORTH_URL is not there.\n"
        "  line 5: providers, north: `credential` the environment variable NORTH_KEY is not there."
    )


def test_roll_ups_can_be_run_and_rebuilt_by_hand(customer):
    with in_tenant(customer):
        usage.answered(NOW)

    assert run("rollups", "run", "acme") == "1 events of acme were counted."
    assert run("rollups", "rebuild", "acme", "2026-11") == (
        "The sums of acme for 2026-11 were made again and are what was stored."
    )


def test_the_demo_is_made_once_and_remembered(control, settings, tmp_path, monkeypatch):
    settings.LOCKSTEP_HOME = tmp_path
    settings.CATALOGUE_ENVIRONMENT = {"MODEL_SIMULATOR_URL": "http://127.0.0.1:8010", "TEST": "x"}.get
    renamed = tuple(demo.DemoTenant(f"{one.slug}-demo", one.name, one.plan) for one in demo.TENANTS)
    monkeypatch.setattr(demo, "TENANTS", renamed)

    first = json.loads(run("bootstrap_demo", "--json"))
    second = json.loads(run("bootstrap_demo", "--json"))

    assert first == second
    assert (tmp_path / "demo.json").stat().st_mode & 0o777 == 0o600
    assert [tenant["plan"] for tenant in first["tenants"]] == ["business", "starter"]
    acme = first["tenants"][0]
    assert set(acme) == {"slug", "id", "url", "plan", "owner", "keys"}
    assert acme["url"] == f"http://acme-demo.localhost:{settings.LOCKSTEP_PORT}"
    with in_tenant(tenants.tenant_by_slug("acme-demo")):
        [key] = keys.keys(limit=10)
        assert key.key_id == acme["keys"][0]["secret"].split("_")[3]
        assert people.member_by_email(acme["owner"]["email"]).role.value == "owner"


def test_a_demo_whose_memory_was_lost_gets_a_new_key_and_operator(control, settings, tmp_path, monkeypatch):
    settings.LOCKSTEP_HOME = tmp_path
    settings.CATALOGUE_ENVIRONMENT = {"TEST": "x"}.get
    monkeypatch.setattr(demo, "TENANTS", (demo.DemoTenant("acme-demo", "Acme", "business"),))
    first = json.loads(run("bootstrap_demo", "--json"))
    (tmp_path / "demo.json").unlink()

    second = json.loads(run("bootstrap_demo", "--json"))

    assert first["operator"]["email"] != second["operator"]["email"]
    assert first["tenants"][0]["keys"] != second["tenants"][0]["keys"]
