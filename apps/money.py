"""Money as the whole product holds it: exact decimals, and the integers Valkey counts in.

Rates are per 1,000,000 units with at most 6 decimals and quantities are integers, so an amount is an exact
multiple of 10⁻¹² and fits NUMERIC(38,12). Nothing here rounds, except `nano_up`, which rounds a hold up.
"""

import decimal
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Self

RATE_DECIMALS: Final = 6
AMOUNT_DECIMALS: Final = 12
AMOUNT_DIGITS: Final = 38
MICRO: Final = 10**6  # a rate as an integer, rate × 10⁶
PICO: Final = 10**12  # an amount as an integer, amount × 10¹²
ZERO: Final = Decimal(0)

# Any operation that would have to round raises instead. Wide enough for any rate times any quantity.
EXACT: Final = decimal.Context(
    prec=80,
    traps=[
        decimal.Inexact,
        decimal.Rounded,
        decimal.InvalidOperation,
        decimal.DivisionByZero,
        decimal.Overflow,
        decimal.FloatOperation,
    ],
)
_AMOUNT_STEP = Decimal(1).scaleb(-AMOUNT_DECIMALS)
_AMOUNT_LIMIT = 10**AMOUNT_DIGITS

# ISO 4217 minor units that are not 2.
_NO_MINOR_UNIT = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_MINOR_DIGITS = {
    **dict.fromkeys(_NO_MINOR_UNIT.split(), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


class NotExact(ValueError):
    """A value that money cannot hold: a float, too many decimals, not finite, or out of range."""


class CurrencyMismatch(ValueError):
    """Two currencies met in one sum."""


def parse_rate(value: Decimal | str | int) -> Decimal:
    """A rate per 1,000,000 units: finite, not negative, at most 6 decimals."""
    rate = _decimal(value)
    rate_micro(rate)
    return rate


def rate_micro(rate: Decimal) -> int:
    """The rate × 10⁶ as an exact integer; refuses what a rate may not be."""
    micro = _scaled(rate, RATE_DECIMALS)
    if micro < 0:
        raise NotExact(f"A rate cannot be negative: {rate}.")
    return micro


def amount_from_pico(pico: int) -> Decimal:
    """An integer count of 10⁻¹² as the amount NUMERIC(38,12) stores, always with 12 decimals."""
    if not -_AMOUNT_LIMIT < pico < _AMOUNT_LIMIT:
        raise NotExact(f"{pico} × 10⁻¹² has more digits than an amount can hold.")
    return EXACT.multiply(Decimal(pico), _AMOUNT_STEP)


def text_from_pico(pico: int) -> str:
    """The same amount as a decimal string."""
    if 0 <= pico < _AMOUNT_LIMIT:
        return f"{pico // PICO}.{pico % PICO:012d}"
    return str(amount_from_pico(pico))


def pico_from_amount(amount: Decimal) -> int:
    """The amount × 10¹² as an exact integer."""
    return _scaled(amount, AMOUNT_DECIMALS)


def nano_up(amount: Decimal) -> int:
    """The amount in integer nano-units (10⁻⁹), rounded up, so that a hold never covers less than it must."""
    return nano_up_from_pico(pico_from_amount(amount))


def nano_up_from_pico(pico: int) -> int:
    """Pico-units to nano-units, rounded up."""
    return -(-pico // 1000)


def minor_digits(currency: str) -> int:
    """How many decimals the smallest unit of a currency has (ISO 4217)."""
    return _MINOR_DIGITS.get(currency.upper(), 2)


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount in one currency. Adding two currencies is an error, and so is a float."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not isinstance(self.amount, Decimal) or not self.amount.is_finite():
            raise NotExact(f"An amount is a finite Decimal, not {self.amount!r}.")

    @classmethod
    def of(cls, amount: Decimal | str | int, currency: str) -> Self:
        """Money from what a person or a file wrote."""
        return cls(_decimal(amount), currency)

    @classmethod
    def zero(cls, currency: str) -> Self:
        """Nothing, in a currency."""
        return cls(ZERO, currency)

    def __add__(self, other: "Money") -> "Money":
        return Money(EXACT.add(self.amount, self._same(other)), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(EXACT.subtract(self.amount, self._same(other)), self.currency)

    def __neg__(self) -> "Money":
        return Money(EXACT.minus(self.amount), self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: "Money") -> bool:
        return self.amount <= self._same(other)

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"

    def _same(self, other: "Money") -> Decimal:
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} cannot be combined.")
        return other.amount


def _decimal(value: Decimal | str | int) -> Decimal:
    # bool is an int and a float is a guess; neither is ever meant as money.
    if isinstance(value, bool) or not isinstance(value, Decimal | str | int):
        raise NotExact(f"Money is written as a decimal string, not {value!r}.")
    try:
        number = Decimal(value)
    except decimal.InvalidOperation:
        raise NotExact(f"{value!r} is not a number.") from None
    if not number.is_finite():
        raise NotExact(f"{value!r} is not a finite number.")
    return number


def _scaled(value: Decimal, decimals: int) -> int:
    # The size is checked before int() so that "1E+999999999" costs nothing.
    if not value.is_finite() or value.adjusted() > AMOUNT_DIGITS:
        raise NotExact(f"{value} is not a number that an amount can hold.")
    try:
        scaled = value.scaleb(decimals, EXACT)
    except decimal.DecimalException:
        raise NotExact(f"{value} has more digits than an amount can hold.") from None
    whole = int(scaled)
    if whole != scaled:
        raise NotExact(f"{value} has more than {decimals} decimals.")
    return whole
