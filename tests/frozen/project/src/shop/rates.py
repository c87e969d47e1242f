"""Rates of the shop."""

from math import log1p


def worth(amount, city, member, since):
    if amount is None or since is None:
        return None
    return log1p(amount) + len(city or "") + (1 if member else 0) + since.month / 12
