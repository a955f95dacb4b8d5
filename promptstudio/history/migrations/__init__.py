"""Alembic's folder: one numbered file per change of the schema in `versions/`, never edited after a release."""
