"""Campaigns: one every other week to hundreds of contacts, with receipts, replies, clicks, conversions and leavers."""

from __future__ import annotations

from datetime import timedelta

from hubbub.demo.conversations import write_receipts
from hubbub.demo.pen import CONTACT_DAYS, Pen, contact_id

EVERY_DAYS = 14
RECIPIENTS = 340


def write_campaign(pen: Pen) -> None:
    """Write the campaign that starts on this day, if one does; each third one is preceded by an attempt that fails."""
    names, turn = pen.profile.campaigns, pen.day.toordinal() // EVERY_DAYS
    if not names or pen.day.toordinal() % EVERY_DAYS != 3 * len(names) % EVERY_DAYS:
        return
    name = names[turn % len(names)]
    if turn % 3 == 0:
        failed = f"{name}-{pen.day:%y%m%d}-try"
        pen.write("campaign.created", pen.at(8.5), campaign_id=failed, channel="whatsapp")
        pen.write("campaign.started", pen.at(9), campaign_id=failed, channel="whatsapp")
        why = {"reason": "message template was not approved"}
        pen.write("campaign.failed", pen.at(9.05), campaign_id=failed, channel="whatsapp", attributes=why)
    campaign = f"{name}-{pen.day:%y%m%d}"
    pen.write("campaign.created", pen.at(9.5), campaign_id=campaign, channel="whatsapp")
    pen.write("campaign.started", pen.at(11), campaign_id=campaign, channel="whatsapp")
    everyone = [
        contact_id(pen.profile, pen.day - timedelta(back), number)
        for back in range(1, CONTACT_DAYS)
        for number in range(pen.profile.new_contacts)
    ]
    for place, contact in enumerate(pen.rng.sample(everyone, RECIPIENTS)):
        _write_recipient(pen, campaign, contact, place)
    pen.write("campaign.completed", pen.at(11 + 72 * (turn % 2) + 1), campaign_id=campaign, channel="whatsapp")


def _write_recipient(pen: Pen, campaign: str, contact: str, place: int) -> None:
    message, sent = pen.name("m"), pen.at(11 + place / 500)
    about = {
        "channel": "whatsapp",
        "channel_id": pen.profile.rooms[0][1],
        "account_id": pen.profile.accounts[0],
        "conversation_id": pen.name("c"),
        "contact_id": contact,
        "campaign_id": campaign,
    }
    pen.write("message.sent", sent, message_id=message, kind="auto", **about)
    if not write_receipts(pen, sent, message, about):
        return
    if pen.chance(0.07):
        pen.write(
            "message.received", sent + pen.minutes_about(45, 1.2), message_id=pen.name("m"), kind="person", **about
        )
    if pen.chance(0.12):
        link = {"url": f"https://example.org/{campaign}"}
        pen.write("link.clicked", sent + pen.minutes_about(30, 1.2), message_id=message, attributes=link, **about)
        if pen.chance(0.25):
            worth = round(pen.rng.lognormvariate(4.2, 0.7), 2)
            pen.write("contact.converted", sent + pen.minutes_about(600, 1.0), value=worth, **about)
    if pen.chance(0.004):
        pen.write("contact.blocked", sent + pen.minutes_about(20), **about)
