"""Draws, trains, exports and checks the networks for displays and meters. See README.md."""
