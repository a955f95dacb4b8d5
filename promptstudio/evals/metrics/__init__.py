"""Metrics of DeepEval and RAGAS as assertions: what they need (`table`), how they are written (`parse`), and how an
answer is measured (`measure`), each engine behind one door."""
