"""Taking a request apart member by member, so that what nobody took is found and refused."""

from collections.abc import Mapping
from typing import Any


class NotExpressible(Exception):
    """The other dialect cannot say this. `member` is where it stands, such as `messages[2].content[0].detail`."""

    def __init__(
        self, member: str, why: str = "has no equivalent in the dialect of this model's provider"
    ) -> None:
        self.member = member
        super().__init__(f"`{member}` {why}.")


class Members:
    """An object being taken apart. Members that are null count as absent; `done` refuses what was not taken."""

    def __init__(self, value: object, path: str = "") -> None:
        if not isinstance(value, Mapping):
            raise NotExpressible(path or "body", "is not an object, so it cannot be translated")
        self._left = {str(name): one for name, one in value.items() if one is not None}
        self._path = path

    def path(self, name: str) -> str:
        """Where a member stands in the request."""
        return f"{self._path}.{name}" if self._path else name

    def take(self, name: str, default: Any = None) -> Any:
        """A member's value, which is then dealt with."""
        return self._left.pop(name, default)

    def text(self, name: str) -> str:
        """A member that has to be a text."""
        value = self._left.pop(name, None)
        if not isinstance(value, str):
            raise NotExpressible(self.path(name), "is not a text, so it cannot be translated")
        return value

    def listed(self, name: str) -> list[Any]:
        """A member that has to be a list; absent is empty."""
        value = self._left.pop(name, [])
        if not isinstance(value, list):
            raise NotExpressible(self.path(name), "is not a list, so it cannot be translated")
        return value

    def only(self, name: str, *allowed: Any) -> None:
        """A member that may stand there with these values alone, which mean what the other dialect does anyway."""
        if name in self._left and not any(
            self._left[name] == value and type(self._left[name]) is type(value) for value in allowed
        ):
            raise NotExpressible(self.path(name))
        self._left.pop(name, None)

    def refuse(self, name: str) -> NotExpressible:
        """What to raise for a member whose value cannot be said."""
        return NotExpressible(self.path(name))

    def done(self) -> None:
        """Nothing may be left that nobody looked at."""
        for name in self._left:
            raise NotExpressible(self.path(name))


def number(value: object, path: str, *, most: float | None = None) -> float | int:
    """A number, within what the other dialect takes."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotExpressible(path, "is not a number, so it cannot be translated")
    if most is not None and value > most:
        raise NotExpressible(path, f"goes up to {most:g} in the dialect of this model's provider")
    return value


def parts(content: object, path: str) -> list[Members]:
    """Content as a list of parts; a plain text is one part."""
    if isinstance(content, str):
        return [Members({"type": "text", "text": content}, path)] if content else []
    if not isinstance(content, list):
        raise NotExpressible(path, "is neither a text nor a list, so it cannot be translated")
    return [Members(part, f"{path}[{index}]") for index, part in enumerate(content)]


def data_url(url: str) -> tuple[str, str] | None:
    """Media type and base64 data of a `data:` URL; None for any other address."""
    if not url.startswith("data:"):
        return None
    head, comma, data = url[5:].partition(",")
    media_type, _, encoding = head.partition(";")
    if not comma or encoding != "base64" or not media_type:
        return None
    return media_type, data
