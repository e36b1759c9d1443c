"""Prompts: what a template takes, how versions come to be used, and that nobody approves their own."""

import pytest
from django.db import IntegrityError, transaction

from apps.governance.models import AuditEntry, PromptVersion
from apps.governance.prompts import workflow
from apps.governance.prompts.errors import (
    InvalidPrompt,
    InvalidVariables,
    PromptExists,
    PromptNotUsable,
    ReviewRefused,
    WrongVersionState,
)
from apps.governance.prompts.templates import Template
from apps.governance.prompts.using import usable_prompt
from apps.governance.prompts.workflow import Person
from apps.governance.types import Actor
from apps.tenancy.services import in_tenant
from tests.factories.prompts import ANN, BEN, GREETING, approve_version, approved_prompt


@pytest.fixture
def here(acme):
    """acme, in force."""
    with in_tenant(acme):
        yield acme


def test_a_value_is_put_in_once_and_never_read_as_a_template():
    template = Template.from_json(GREETING)

    rendered = template.render({"name": "{{language}} {x}", "language": "{{name}}"})

    assert rendered == [("system", "Be brief. Speak {{name}}."), ("user", "Greet {{language}} {x}.")]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, "name is missing"),
        ({"name": "x", "nmae": "y"}, "nmae is unknown"),
        ({"name": 5}, "name is no string"),
        ({"name": "x" * 21}, "name is longer than 20 characters"),
        ({"name": "a\x00"}, "name holds what is no text"),
        ({"name": None}, "name is no string"),
    ],
)
def test_variables_that_do_not_fit_are_refused_by_name(values, problem):
    with pytest.raises(InvalidVariables, match=problem):
        Template.from_json(GREETING).render(values)


def test_types_are_held():
    content = {
        "messages": [{"role": "user", "content": "{{n}} {{x}} {{b}}"}],
        "variables": {"n": {"type": "integer"}, "x": {"type": "number"}, "b": {"type": "boolean"}},
    }
    template = Template.from_json(content)

    assert template.render({"n": 3, "x": 1.5, "b": True}) == [("user", "3 1.5 true")]
    for wrong in ({"n": True, "x": 1, "b": True}, {"n": 1.5, "x": 1, "b": True}, {"n": 1, "x": "1", "b": 1}):
        with pytest.raises(InvalidVariables):
            template.render(wrong)


@pytest.mark.parametrize(
    "content",
    [
        {"messages": []},
        {"messages": [{"role": "user", "content": "{{x}}"}]},
        {"messages": [{"role": "user", "content": "x"}], "variables": {"x": {}}},
        {"messages": [{"role": "user", "content": "{{x y}}"}]},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [{"role": "system", "content": "x"}]},
        {"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "x"}]},
        {"messages": [{"role": "user", "content": "{{x}}"}], "variables": {"x": {"type": "code"}}},
        {"messages": [{"role": "user", "content": "x", "name": "y"}]},
        {"messages": [{"role": "user", "content": "x"}], "accepts": ["system"]},
        [],
    ],
)
def test_a_template_that_means_nothing_certain_is_refused(content):
    with pytest.raises(InvalidPrompt):
        Template.from_json(content)


def test_a_version_goes_from_draft_to_review_to_approved_to_retired_and_all_is_audited(here):
    workflow.create_prompt(by=ANN, slug="greeting", name="Greeting", content=GREETING)
    with pytest.raises(PromptNotUsable, match="draft"):
        usable_prompt("greeting").pick(version=1)

    approve_version("greeting", 1)
    workflow.set_label("greeting", "production", 1, by=BEN)
    use, _ = usable_prompt("greeting").pick()
    with pytest.raises(WrongVersionState, match="production"):
        workflow.retire("greeting", 1, by=BEN)
    workflow.set_label("greeting", "production", None, by=BEN)
    workflow.retire("greeting", 1, by=BEN)

    assert use.ref == "greeting@1"
    with pytest.raises(PromptNotUsable, match="retired"):
        usable_prompt("greeting").pick(version="1")
    actions = AuditEntry.objects.filter(target_kind="prompt").order_by("sequence")
    assert list(actions.values_list("action", flat=True)) == [
        "prompt.created", "prompt.drafted", "prompt.submitted", "prompt.approved", "prompt.labelled",
        "prompt.labelled", "prompt.retired",
    ]  # fmt: skip


def test_an_author_cannot_approve_their_own_whatever_key_they_use_and_no_machine_can(here):
    workflow.create_prompt(by=ANN, slug="greeting", name="Greeting", content=GREETING)
    workflow.submit("greeting", 1, by=ANN)

    with pytest.raises(ReviewRefused, match="wrote"):
        workflow.approve("greeting", 1, by=Person(ANN.id, "Ann's other key", Actor.system()))
    with pytest.raises(ReviewRefused, match="person"):
        workflow.approve("greeting", 1, by=Person("service_account:1", "ci", Actor.system()))

    assert workflow.version_of(workflow.prompt_of("greeting"), 1).state == "in_review"


def test_the_database_holds_four_eyes_the_words_and_the_order_of_states(here):
    prompt = workflow.create_prompt(by=ANN, slug="greeting", name="Greeting", content=GREETING)
    workflow.submit("greeting", 1, by=ANN)
    row = PromptVersion.objects.filter(prompt=prompt, number=1)
    forbidden = [
        {"state": "approved", "reviewer_id": ANN.id, "reviewed_at": "2026-01-01T00:00Z"},
        {"state": "approved"},
        {"content": {}},
        {"author_id": BEN.id},
    ]

    for change in forbidden:
        with pytest.raises(IntegrityError), transaction.atomic():
            row.update(**change)
    workflow.approve("greeting", 1, by=BEN)
    for change in ({"state": "draft"}, {"state": "in_review"}, {"content": {}}, {"reviewer_id": ANN.id}):
        with pytest.raises(IntegrityError), transaction.atomic():
            row.update(**change)


def test_a_draft_is_changed_by_its_author_alone_and_a_reviewed_version_by_nobody(here):
    workflow.create_prompt(by=ANN, slug="greeting", name="Greeting", content=GREETING)
    other = {"messages": [{"role": "user", "content": "Hello"}]}

    with pytest.raises(ReviewRefused):
        workflow.change_draft("greeting", 1, by=BEN, content=other)
    workflow.change_draft("greeting", 1, by=ANN, content=other)
    workflow.submit("greeting", 1, by=ANN)
    with pytest.raises(WrongVersionState):
        workflow.change_draft("greeting", 1, by=ANN, content=GREETING)

    assert workflow.draft_version("greeting", by=BEN, content=GREETING).number == 2
    assert "+Be brief. Speak {{language}}." in workflow.differences("greeting", 1, 2)


def test_a_slug_is_taken_once_and_labels_point_at_approved_versions_only(here):
    approved_prompt()
    workflow.draft_version("greeting", by=ANN, content=GREETING)

    with pytest.raises(PromptExists):
        workflow.create_prompt(by=BEN, slug="greeting", name="x", content=GREETING)
    with pytest.raises(WrongVersionState):
        workflow.set_label("greeting", "production", 2, by=BEN)
    for slug in ("", "Greeting", "a b", "../x", "3fa85f64-5717-4562-b3fc-2c963f66afa6"):
        with pytest.raises(InvalidPrompt):
            workflow.create_prompt(by=BEN, slug=slug, name="x", content=GREETING)


def test_one_tenants_prompt_is_not_anothers(here, globex):
    prompt = approved_prompt()

    with in_tenant(globex):
        assert usable_prompt("greeting") is None
        assert usable_prompt(str(prompt.pk)) is None
