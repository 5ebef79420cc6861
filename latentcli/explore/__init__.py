"""The latent space in the browser: what a person sees, clicks and labels, and the page that shows it.

All but ``page`` and ``serving`` is plain Python without a browser; these two alone know Bokeh and tornado.
"""
