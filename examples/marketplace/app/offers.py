"""What can be done with offers."""

from decimal import Decimal, InvalidOperation

from sqlalchemy import func, select, update

from .models import Offer

MOST = Decimal("1000000")


class Refused(Exception):
    """Why something can't be done, in words for the person who asked."""


def parse_price(text):
    """A price from what people write."""
    try:
        price = Decimal(text.replace(",", "."))
    except InvalidOperation:
        raise Refused(f"{text} is not a price.") from None
    if not price.is_finite() or price < 0 or price > MOST:
        raise Refused(f"A price is between 0 and {MOST}.")
    return price.quantize(Decimal("0.01"))


def sell(session, seller, seller_name, title, price):
    """Offers something."""
    if len(title) > 200:
        raise Refused("A title has at most 200 characters.")
    offer = Offer(title=title, price=price, seller=seller, seller_name=seller_name)
    session.add(offer)
    session.flush()
    return offer


def buy(session, buyer, buyer_name, number):
    """Buys an offer; of two who want the same one, only the first gets it."""
    bought = session.execute(
        update(Offer)
        .where(Offer.id == number, Offer.buyer.is_(None), Offer.seller != buyer)
        .values(buyer=buyer, buyer_name=buyer_name, bought_at=func.now())
        .returning(Offer)
    ).scalar_one_or_none()
    if bought:
        return bought
    offer = session.get(Offer, number)
    if offer is None:
        raise Refused(f"There is no offer {number}.")
    if offer.seller == buyer:
        raise Refused("That is your own offer.")
    raise Refused(f"{offer.title} is sold already.")


def still_open(session, most=20):
    """The latest offers that can be bought."""
    return session.scalars(select(Offer).where(Offer.buyer.is_(None)).order_by(Offer.id.desc()).limit(most)).all()


def latest(session, most=50):
    """The latest offers, sold ones too."""
    return session.scalars(select(Offer).order_by(Offer.id.desc()).limit(most)).all()


def count(session):
    """`(all, sold)`."""
    return session.execute(select(func.count(), func.count(Offer.buyer))).one()
