"""Campaigns: one every other week to hundreds of contacts, with receipts, replies, clicks, conversions and leavers."""

from __future__ import annotations

from datetime import datetime, timedelta

from hubbub.demo.conversations import write_receipts
from hubbub.demo.writer import CONTACT_DAYS, Writer, contact_id

EVERY_DAYS = 14
RECIPIENTS = 340


def write_campaign(writer: Writer) -> None:
    """Write the campaign that starts on this day, if any; before each third one, write a failed attempt."""
    names, turn = writer.scenario.campaigns, writer.day.toordinal() // EVERY_DAYS
    if not names or writer.day.toordinal() % EVERY_DAYS != 3 * len(names) % EVERY_DAYS:
        return
    name = names[turn % len(names)]
    if turn % 3 == 0:
        failed = f"{name}-{writer.day:%y%m%d}-try"
        writer.write("campaign.created", writer.at(8.5), campaign_id=failed, channel="whatsapp")
        writer.write("campaign.started", writer.at(9), campaign_id=failed, channel="whatsapp")
        why = {"reason": "message template was not approved"}
        writer.write("campaign.failed", writer.at(9.05), campaign_id=failed, channel="whatsapp", attributes=why)
    campaign = f"{name}-{writer.day:%y%m%d}"
    writer.write("campaign.created", writer.at(9.5), campaign_id=campaign, channel="whatsapp")
    writer.write("campaign.started", writer.at(11), campaign_id=campaign, channel="whatsapp")
    everyone = [
        contact_id(writer.scenario, writer.day - timedelta(back), number)
        for back in range(1, CONTACT_DAYS)
        for number in range(writer.scenario.new_contacts)
    ]
    for place, contact in enumerate(writer.rng.sample(everyone, RECIPIENTS)):
        _write_recipient(writer, campaign, contact, place)
    writer.write("campaign.completed", writer.at(11 + 72 * (turn % 2) + 1), campaign_id=campaign, channel="whatsapp")


def _write_recipient(writer: Writer, campaign: str, contact: str, place: int) -> None:
    message, sent = writer.name("m"), writer.at(11 + place / 500)
    about = {
        "channel": "whatsapp",
        "channel_id": writer.scenario.rooms[0][1],
        "account_id": writer.scenario.accounts[0],
        "conversation_id": writer.name("c"),
        "contact_id": contact,
        "campaign_id": campaign,
    }
    writer.write("message.sent", sent, message_id=message, kind="auto", **about)
    if not write_receipts(writer, sent, message, about):
        return
    if writer.chance(0.07):
        _write_reply(writer, sent + writer.minutes_about(45, 1.2), about)
    if writer.chance(0.12):
        link = {"url": f"https://example.org/{campaign}"}
        writer.write("link.clicked", sent + writer.minutes_about(30, 1.2), message_id=message, attributes=link, **about)
        if writer.chance(0.25):
            worth = round(writer.rng.lognormvariate(4.2, 0.7), 2)
            writer.write("contact.converted", sent + writer.minutes_about(600, 1.0), value=worth, **about)
    if writer.chance(0.004):
        writer.write("contact.blocked", sent + writer.minutes_about(20), **about)


def _write_reply(writer: Writer, at: datetime, about: dict[str, str]) -> None:
    """Write a contact's reply, and in most cases the answer of one of the staff."""
    writer.write("message.received", at, message_id=writer.name("m"), kind="person", **about)
    if writer.chance(0.97):
        answered = writer.in_hours(at + writer.minutes_about(5))
        message, staff = writer.name("m"), writer.pick(writer.scenario.staff)
        about = {
            name: value for name, value in about.items() if name != "campaign_id"
        }  # those of a campaign answer nobody
        writer.write("response.staff_sent", answered, message_id=message, staff_id=staff, **about)
        writer.write("message.sent", answered, message_id=message, staff_id=staff, kind="person", **about)
        write_receipts(writer, answered, message, about)
