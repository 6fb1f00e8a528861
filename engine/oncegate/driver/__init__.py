"""The driver: saves each call before it makes it, calls once, and saves the outcome.

``script`` is the one generator that says what to do in which order. ``effects`` has the things that it
asks for, and performs them on the ports. ``sync`` and ``asyncio`` run the generator.
"""
