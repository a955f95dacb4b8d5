"""Cases and assertions that a model proposes: checked, tried out, free of near-duplicates, and never written unseen."""
