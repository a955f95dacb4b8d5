"""The model that judges: who it is (`spec`), how it is asked (`caller`), and what it is asked for (`verdicts`)."""
