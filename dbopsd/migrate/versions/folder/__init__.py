"""Folders of migrations, read as the tool that they were written for reads them."""
