"""Whether rollbacks restore: every migration up, down and up again on a scratch database."""
