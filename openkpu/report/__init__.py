# SPDX-License-Identifier: Apache-2.0
"""A profile as one page that needs no network: ``facts.py`` collects, ``page.py`` and ``page.js`` draw."""
