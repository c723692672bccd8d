"""A lively sample: three tenants in three time zones whose events are the same every time, up to the moment asked for.

Everything is drawn from generators seeded with the seed, the tenant and the local day, so a day's events keep their ids
when the sample is made again later: importing it daily extends it.
"""

from hubbub.demo.sample import events, tenants

__all__ = ["events", "tenants"]
