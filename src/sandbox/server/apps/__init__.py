"""The way from a browser to web apps in sandboxes: a signed host name for each app, which expires."""
