"""The tables."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, DateTime, Numeric, String, Text, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """All tables."""


class Offer(Base):
    """Something for sale, and who bought it."""

    __tablename__ = "offers"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    seller: Mapped[int] = mapped_column(BigInteger)
    seller_name: Mapped[str] = mapped_column(String(100))
    offered_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    buyer: Mapped[int | None] = mapped_column(BigInteger)
    buyer_name: Mapped[str | None] = mapped_column(String(100))
    bought_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Update(Base):
    """An update of Telegram that was answered: a repeated one gets the same answer and does nothing."""

    __tablename__ = "updates"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    reply: Mapped[str] = mapped_column(Text)
    answered_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
