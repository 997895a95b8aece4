"""What the bot answers. One update is one transaction."""

import logging
from dataclasses import dataclass, field

from sqlalchemy.dialects.postgresql import insert

from . import cache, offers
from .database import session as new_session
from .models import Update

log = logging.getLogger(__name__)
HELP = """Buy and sell here:
/sell TITLE PRICE offers something
/list shows what is for sale
/buy NUMBER buys it"""


@dataclass
class Answer:
    """The reply, and messages for others: `(chat, text)`."""

    text: str
    tell: list = field(default_factory=list)


def answer(update):
    """The answer to an update, or nothing where it isn't a message of text."""
    message = update.get("message") or {}
    text, chat = message.get("text"), (message.get("chat") or {}).get("id")
    if not text or chat is None:
        return None, None
    if cache.too_many(chat):
        return chat, Answer("Slow down, please; try again in a minute.")
    sender = message.get("from") or {}
    name = str(sender.get("first_name") or sender.get("username") or "somebody")[:100]
    changes = False
    with new_session() as session:
        # The row is held until the end: a second delivery of the same update waits for it, then finds the reply.
        mine = session.execute(
            insert(Update).values(id=update["update_id"], reply="").on_conflict_do_nothing().returning(Update.id)
        ).scalar_one_or_none()
        if mine is None:
            return chat, Answer(session.get_one(Update, update["update_id"]).reply)
        try:
            said, changes = _command(session, chat, name, text)
        except offers.Refused as refused:
            said = Answer(str(refused))
        session.get_one(Update, update["update_id"]).reply = said.text
        session.commit()
    if changes:
        cache.forget(cache.OFFERS)
    return chat, said


def _command(session, chat, name, text):
    word, _, rest = text.strip().partition(" ")
    rest = rest.strip()
    # In groups a command is written /list@name_of_the_bot.
    match word.partition("@")[0].lower():
        case "/sell":
            title, _, price = rest.rpartition(" ")
            if not title:
                raise offers.Refused("Like this: /sell Bicycle 45.50")
            offer = offers.sell(session, chat, name, title.strip(), offers.parse_price(price))
            log.info("offered", extra={"offer": offer.id, "chat": chat})
            return Answer(f"Offered as number {offer.id}: {offer.title} for {offer.price}."), True
        case "/buy":
            # The column holds numbers up to 2³¹ - 1.
            if not (rest.isascii() and rest.isdigit() and len(rest) < 10):
                raise offers.Refused("Like this: /buy 7")
            offer = offers.buy(session, chat, name, int(rest))
            log.info("bought", extra={"offer": offer.id, "chat": chat})
            news = (offer.seller, f"{name} has bought your {offer.title} for {offer.price}.")
            return Answer(f"You have bought {offer.title} for {offer.price} from {offer.seller_name}.", [news]), True
        case "/list":
            return Answer(_list(session)), False
        case "/start" | "/help":
            return Answer(f"Welcome, {name}! {HELP}"), False
        case _:
            return Answer(f"I don't know {word[:50]}. {HELP}"), False


def _list(session):
    kept = cache.get(cache.OFFERS)
    if kept is not None:
        return kept
    found = offers.still_open(session)
    said = "\n".join(f"{offer.id}: {offer.title}, {offer.price}" for offer in found) or "Nothing is for sale."
    cache.put(cache.OFFERS, said, 5)
    return said
