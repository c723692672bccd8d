"""Sample events of three tenants in three time zones, up to a given moment; the same arguments give the same events.

Generators are seeded with seed, tenant and local day, so a day's events keep their ids when the sample is made later, and a daily
import extends it.
"""

from hubbub.demo.sample import events, tenants

__all__ = ["events", "tenants"]
