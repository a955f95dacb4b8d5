"""Prompts from and for other tools: `importing.import_path` reads theirs, an exporter of `formats` writes theirs."""
