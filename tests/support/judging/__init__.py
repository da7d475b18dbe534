"""What the judge of imports knows: nothing of it comes from dbopsd."""
