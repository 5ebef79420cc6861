"""The latent space in the browser: what a person sees, clicks and labels, and the page that shows it.

``exploration`` is what a person does, by way of ``labelling``, ``fitting``, ``plane``, ``drawing``, ``between`` and
``jobs``: Python without a browser. ``page``, ``tiles``, ``waiting``, ``markup`` and ``serving`` alone know Bokeh.
"""
