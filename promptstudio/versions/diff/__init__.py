"""Two snapshots of a prompt → what changed and what that means: a verdict by rule, then what differs, part by part.

contain.py decides whether one JSON Schema takes all values of another, contract.py what that means for inputs and
output; rules.py is the table of rules and verdict.py applies it; compare.py builds a `Diff`; words.py and messages.py
align texts; ask.py reads what is asked for, collect.py finds the prompts; show.py, markdown.py and json_form.py are its
three faces.
"""
