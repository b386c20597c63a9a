"""Programs that run in the rivals' own environments; nothing here imports fastpyr."""
