"""The two shapes in which money and currencies are stored."""

from typing import Any

from django.contrib.postgres.fields import RangeBoundary
from django.db import models
from django.db.models import Func, Q

from apps import money


def amount_field(**options: Any) -> models.DecimalField:
    """An exact amount in major units: NUMERIC(38,12)."""
    return models.DecimalField(
        max_digits=money.AMOUNT_DIGITS, decimal_places=money.AMOUNT_DECIMALS, **options
    )


def currency_constraint(name: str) -> models.CheckConstraint:
    """Three capital letters."""
    return models.CheckConstraint(name=name, condition=Q(currency__regex=r"^[A-Z]{3}$"))


def span(start: str, end: str) -> Func:
    """A half-open range of time made of two columns; no end is for ever."""
    return Func(models.F(start), models.F(end), RangeBoundary(), function="TSTZRANGE")
