"""People, teams, units, roles, API keys and sign-in links: who may do what, decided through one choke point."""
