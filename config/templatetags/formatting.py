"""How amounts, counts, durations and moments are written. Nothing here rounds money."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from apps.money import minor_digits

SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "CHF": "CHF\u00a0"}
MINUS = "\u2212"
SCALES = ((Decimal(10) ** 12, "T"), (Decimal(10) ** 9, "B"), (Decimal(10) ** 6, "M"), (Decimal(10) ** 3, "k"))


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of characters drawn alike. `pad` is width without meaning: it lines up decimal points."""

    text: str
    faint: bool = False
    gap: bool = False
    pad: bool = False


def exact(value: object) -> Decimal:
    """The value as a Decimal. A float is refused: by the time it is here the exact amount is lost."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise TypeError(f"A number shown to a customer must be Decimal or int, not {type(value).__name__}.")
    return Decimal(value)


def symbol(currency: str) -> str:
    """What stands before the digits: the currency's sign, or its code and a no-break space."""
    return SYMBOLS.get(currency, f"{currency}\u00a0")


def plain_money(amount: Decimal, currency: str) -> str:
    """Every digit that carries value, at least the currency's own decimals, and no others: $1,204.374182."""
    sign, whole, fraction = _digits(exact(amount), currency)
    return f"{sign}{symbol(currency)}{whole}" + (f".{fraction}" if fraction else "")


def money_pieces(amount: Decimal, currency: str, align: int = 0) -> list[Piece]:
    """The characters of `plain_money`, grouped for the eye.

    Digits that matter are plain and the rest faint: the digits below the cent of a large amount, the leading
    zeros of an amount below a cent. Long fractions are spaced by threes. `align` pads the fraction to that
    many places with invisible digits, so that a column's decimal points stand under each other.
    """
    amount = exact(amount)
    sign, whole, fraction = _digits(amount, currency)
    places = len(fraction)
    below_a_cent = 0 < amount.copy_abs() < Decimal("0.01")
    first_that_counts = places - len(fraction.lstrip("0")) if below_a_cent else 0
    pieces = [Piece(f"{sign}{symbol(currency)}{whole}", faint=below_a_cent)]
    if align and not places:
        pieces.append(Piece(".", pad=True))
    elif places:
        pieces.append(Piece(".", faint=below_a_cent))

    width = max(places, align)
    drawn = []
    for position in range(width):
        pad = position >= places
        faint = position < first_that_counts if below_a_cent else position >= 2
        gap = width > 4 and position > 0 and position % 3 == 0
        drawn.append(Piece("0" if pad else fraction[position], faint=faint and not pad, gap=gap, pad=pad))
    return pieces + _joined(drawn)


def _digits(amount: Decimal, currency: str) -> tuple[str, str, str]:
    # copy_abs, because abs() rounds to the context's 28 digits and an amount may have 38.
    whole, _, fraction = format(amount.copy_abs(), "f").partition(".")
    fraction = fraction.rstrip("0").ljust(minor_digits(currency), "0")
    return (MINUS if amount < 0 else ""), f"{int(whole):,}", fraction


def _joined(drawn: list[Piece]) -> list[Piece]:
    """Neighbours drawn alike become one piece; a gap always starts a new one."""
    joined: list[Piece] = []
    for piece in drawn:
        last = joined[-1] if joined else None
        if last and not piece.gap and (last.faint, last.pad) == (piece.faint, piece.pad):
            joined[-1] = Piece(last.text + piece.text, faint=last.faint, gap=last.gap, pad=last.pad)
        else:
            joined.append(piece)
    return joined


def grouped(value: int | Decimal) -> str:
    """12,345,678 with a real minus sign."""
    value = exact(value)
    return f"{MINUS if value < 0 else ''}{value.copy_abs():,f}"


def compact(value: int | Decimal) -> str:
    """Three significant digits and a scale: 12.3M. For counts and axes, never for an amount owed."""
    value = exact(value)
    size = abs(value)
    sign = MINUS if value < 0 else ""
    for scale, letter in reversed(SCALES):
        scaled = _three_digits(size / scale)
        if 1 <= scaled < 1000:
            return f"{sign}{scaled:f}{letter}"
    if size >= 1000:
        return f"{sign}{_three_digits(size / SCALES[0][0]):,f}T"
    return f"{sign}{_trimmed(size if size == int(size) else _three_digits(size))}"


def _three_digits(value: Decimal) -> Decimal:
    if value == 0:
        return value
    step = Decimal(1).scaleb(value.adjusted() - 2)
    rounded = value.quantize(step, rounding=ROUND_HALF_EVEN) if step < 1 else value.quantize(Decimal(1))
    return Decimal(_trimmed(rounded))


def _trimmed(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def axis_labels(ticks: list[Decimal], unit: str, currency: str) -> list[str]:
    """The ticks of a chart's axis, all with the same number of decimals."""
    if unit == "milliseconds":
        return [duration(tick) if tick else "0" for tick in ticks]
    if unit == "percent":
        return [percent(tick) for tick in ticks]
    if unit != "money":
        return [compact(tick) for tick in ticks]
    if max(ticks) >= 10_000:
        return [f"{symbol(currency)}{compact(tick)}" for tick in ticks]
    places = max(len(_trimmed(tick).partition(".")[2]) for tick in ticks)
    return [f"{symbol(currency)}{tick:,.{max(places, 2) if places else 0}f}" for tick in ticks]


def quantity(value: int | Decimal, unit: str, currency: str) -> str:
    """A value of a chart in full, in words a person reads: $12.34, 1,204, 843 ms, 1.2%."""
    if unit == "money":
        return plain_money(exact(value), currency)
    if unit == "milliseconds":
        return duration(value)
    if unit == "percent":
        return percent(value)
    return grouped(value)


def percent(ratio: int | Decimal, places: int = 1) -> str:
    """A ratio as a percentage. A value too small for the places is said to be so, not shown as zero."""
    ratio = exact(ratio)
    smallest = Decimal(1).scaleb(-places)
    hundredths = ratio * 100
    if 0 < abs(hundredths) < smallest:
        return f"<\u2009{smallest:f}%"
    rounded = _trimmed(abs(hundredths).quantize(smallest, rounding=ROUND_HALF_EVEN))
    return f"{MINUS if hundredths < 0 else ''}{rounded}%"


def duration(milliseconds: int | Decimal) -> str:
    """843 ms, 1.24 s, 1 min 15 s."""
    milliseconds = exact(milliseconds)
    if milliseconds < 1000:
        return f"{_trimmed(milliseconds.quantize(Decimal(1)) if milliseconds >= 10 else milliseconds)} ms"
    if milliseconds < 60_000:
        return f"{_trimmed((milliseconds / 1000).quantize(Decimal('0.01')))} s"
    minutes, seconds = divmod(int(milliseconds) // 1000, 60)
    return f"{minutes} min {seconds} s" if seconds else f"{minutes} min"


def relative(moment: datetime, now: datetime) -> str:
    """How long ago, or how long until: 3 min ago, in 5 d. Beyond a month it is the date."""
    distance = now - moment
    past = distance >= timedelta(0)
    seconds = int(abs(distance).total_seconds())
    if seconds < 10:
        return "just now" if past else "now"
    if seconds < 60:
        text = f"{seconds} s"
    elif seconds < 3600:
        text = f"{seconds // 60} min"
    elif seconds < 86_400:
        text = f"{seconds // 3600} h"
    elif seconds < 31 * 86_400:
        text = f"{seconds // 86_400} d"
    else:
        return day(moment)
    return f"{text} ago" if past else f"in {text}"


def day(value: date) -> str:
    """24 Nov 2026, in UTC."""
    if isinstance(value, datetime):
        value = value.astimezone(UTC)
    return f"{value.day} {value:%b %Y}"


def moment_in_full(value: datetime) -> str:
    """24 Nov 2026, 14:02:11 UTC."""
    return f"{day(value)}, {value.astimezone(UTC):%H:%M:%S} UTC"


def machine_time(value: date) -> str:
    """What goes into `<time datetime>`."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return value.isoformat()
