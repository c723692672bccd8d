"""Instagram's messages, and posts and comments of pages and accounts."""

from __future__ import annotations

from hubbub.model.name import Name
from tests.unit.ingest.receivers.bodies import AT, NOON, comment, page, read, talk


def test_instagram_sends_both_sides_reads_and_deletions() -> None:
    """An echo is a sent message, a read refers to its message, and a deletion or edit changes the stored message."""
    body = talk(
        {"message": {"mid": "m1", "text": "words"}},
        {"sender": {"id": "P"}, "recipient": {"id": "U"}, "message": {"mid": "m2", "is_echo": True, "app_id": 5}},
        {"read": {"mid": "m2"}},
        {"message": {"mid": "m1", "is_deleted": True}},
        {"reaction": {"mid": "m2", "action": "react", "reaction": "love"}},
        {"message_edit": {"mid": "m1", "text": "better", "num_edit": 1}},
    )
    found = read("instagram", body, bot_ids=frozenset({"5"}))
    assert [(e["type"], e["id"], e["contact_id"], e.get("kind")) for e in found.events] == [
        ("message.received", "m1", "U", None), ("message.sent", "m2", "U", "bot"), ("message.read", "m2:read", "U", None),
        ("message.reacted", "m2:U:love", "U", None),
    ]  # fmt: skip
    assert {(e["source"], e["channel"], e["conversation_id"], e["time"]) for e in found.events} == {
        ("instagram", "instagram", "P:U", NOON)
    }
    assert [(change.id, change.fields) for change in found.changes] == [
        ("m1", {"attributes": {"deleted": True}}), ("m1", {"attributes": {"edited": True}}),
    ]  # fmt: skip


def test_a_comment_and_its_replies_are_a_conversation() -> None:
    """People's comments are received, the page's are sent, edits and removals change the comment, and authors have names."""
    reply = comment(comment_id="P_1_c2", parent_id="P_1_c1", **{"from": {"id": "P", "name": "Shop"}})
    body = page(comment(), reply, comment(verb="edited"), comment(verb="remove"), comment(verb="hide"))
    found = read("facebook_page", body)
    assert [(e["type"], e["id"], e["conversation_id"], e.get("contact_id")) for e in found.events] == [
        ("message.received", "P_1_c1", "P_1_c1", "U"), ("message.sent", "P_1_c2", "P_1_c1", None),
    ]  # fmt: skip
    assert [list(change.fields["attributes"]) for change in found.changes] == [["edited"], ["deleted"]]  # type: ignore[call-overload]
    assert found.ignored == {"comment hide": 1}
    assert found.names[0] == Name("contact", "U", "Ada")


def test_a_post_has_the_id_and_source_of_the_connector() -> None:
    """A page's post is content with the connector's id and source, a visitor's is a message, and a reaction refers to
    its post.
    """
    post = {"item": "photo", "verb": "add", "post_id": "P_1", "from": {"id": "P"}, "created_time": AT}
    visit = {**post, "item": "post", "post_id": "P_2", "from": {"id": "U"}}
    liked = {
        "item": "reaction",
        "verb": "add",
        "post_id": "P_1",
        "from": {"id": "U"},
        "created_time": AT,
        "reaction_type": "like",
    }
    found = read("facebook_page", page(post, visit, liked, {**liked, "verb": "remove"}))
    assert [(e["type"], e["id"], e["source"], e["message_id"]) for e in found.events] == [
        ("content.published", "P_1", "facebook", "P_1"), ("message.received", "P_2", "facebook", "P_2"),
        ("message.reacted", "P_1:U:like", "facebook", "P_1"),
    ]  # fmt: skip
    assert found.ignored == {"reaction taken back": 1}
    assert read("facebook_page", page({}, field="leadgen")).ignored == {"leadgen": 1}


def test_a_comment_on_instagram_is_under_its_media() -> None:
    """A comment on Instagram is in the conversation of its top comment, at the time of the notification."""
    told = {
        "id": "c2",
        "parent_id": "c1",
        "from": {"id": "U", "username": "ada"},
        "media": {"id": "M"},
        "text": "words",
    }
    (event,) = read("instagram", page(told, field="comments", kind="instagram"), keep_text=True).events
    assert (event["id"], event["conversation_id"], event["source"], event["time"]) == ("c2", "c1", "instagram", NOON)
    assert event["attributes"] == {"post": "M", "text": "words"}
