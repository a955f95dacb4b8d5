"""Evaluation suites. `schema` holds the values that travel; `assertions` judges an answer without a model."""
