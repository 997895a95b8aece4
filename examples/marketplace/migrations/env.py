"""How alembic reaches the database: as the app does."""

from alembic import context

from app import logs
from app.database import engine
from app.models import Base

logs.set_up()

if context.is_offline_mode():
    context.configure(url=engine().url, target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with engine().connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata)
        with context.begin_transaction():
            context.run_migrations()
