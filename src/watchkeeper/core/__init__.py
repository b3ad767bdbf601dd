"""Values that everything shares: findings, evidence, plugins, clock, errors, texts. Knows no Django, no database, no network."""
