"""The process: wiring, Slack in, Slack out, command line. Imports all; nothing imports it."""
