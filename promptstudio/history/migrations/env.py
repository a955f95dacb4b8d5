"""Runs revisions on the connection that `history.migrate` hands over; the caller owns the transaction."""

from alembic import context

from promptstudio.history.tables import METADATA

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA, transactional_ddl=False)
context.run_migrations()
