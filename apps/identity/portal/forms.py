"""What people type on the pages about members."""

from typing import Any

from django import forms

from apps.identity.roles import PURPOSE, Role


def _offer(field: forms.Field, roles: list[Role]) -> None:
    assert isinstance(field, forms.ChoiceField)
    field.choices = [(role.value, f"{role.label}: {PURPOSE[role]}") for role in roles]


class InviteForm(forms.Form):
    """Who is invited, and as what."""

    email = forms.EmailField(
        label="E-mail", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
    name = forms.CharField(
        label="Name", max_length=120, required=False, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    role = forms.ChoiceField(label="What they may do", widget=forms.RadioSelect)

    def __init__(self, *args: Any, roles: list[Role], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _offer(self.fields["role"], roles)
        self.fields["role"].initial = Role.DEVELOPER if Role.DEVELOPER in roles else roles[-1]


class RoleForm(forms.Form):
    """Which role a member has from now on."""

    role = forms.ChoiceField(label="What they may do", widget=forms.RadioSelect)

    def __init__(self, *args: Any, roles: list[Role], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _offer(self.fields["role"], roles)


class NameForm(forms.Form):
    """How a member is called."""

    name = forms.CharField(label="Name", max_length=120, required=False)
