"""A lively sample: three tenants in three time zones, with the same events every time, up to a given moment.

Generators are seeded with seed, tenant and local day, so a day's events keep their ids when the sample is made later: a daily
import extends it.
"""

from hubbub.demo.sample import events, tenants

__all__ = ["events", "tenants"]
