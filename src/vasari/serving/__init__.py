"""The gallery: live state beside models, an HTTP API and a web page. Needs the extra `serve`."""
