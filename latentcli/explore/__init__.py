"""The latent space in the browser: what a person sees, clicks and labels, and the page that shows it.

``exploration`` is what a person does, with ``labelling``, ``fitting``, ``plane``, ``drawing``, ``between`` and ``jobs``:
plain Python, without a browser. ``page``, ``waiting``, ``markup`` and ``serving`` alone know Bokeh and tornado.
"""
