"""Wires around a wire: the exact cache (`wire`, `store`) and cassettes (`recorder`, `cassette`, `folder`)."""
