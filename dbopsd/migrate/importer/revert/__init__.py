"""How merged rows are taken out again."""
