#!/usr/bin/env python3
"""An approver for places without a person: fills in the issuer's own forms.

    approver.py JAR setup LINK USER PASSWORD
    approver.py JAR sign-in ISSUER USER PASSWORD
    approver.py JAR decide APPROVAL_URL approve|deny [FIELD=VALUE ...]
    approver.py JAR end ISSUER SESSION

It does what a browser does and no more: fetches the page, keeps its cookies
in JAR, sends every field of the form as the page had it, and says where the
form came from. FIELD=VALUE fills in a field, such as duration=5m; -FIELD
leaves one out, and -FIELD=VALUE unticks one box of several.
Standard library only.
"""

import html.parser
import http.cookiejar
import os
import sys
import urllib.error
import urllib.parse
import urllib.request


class Form(html.parser.HTMLParser):
    """The fields of the form whose action starts with `wanted`."""

    def __init__(self, wanted):
        super().__init__()
        self.wanted = wanted
        self.action = None
        self.fields = []
        self._inside = False
        self._textarea = None

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            action = attributes.get("action", "")
            self._inside = self.action is None and action.startswith(self.wanted)
            if self._inside:
                self.action = action
        elif self._inside and tag == "input" and attributes.get("name"):
            ticked = attributes.get("type") not in ("checkbox", "radio") or "checked" in attributes
            if ticked:
                self.fields.append((attributes["name"], attributes.get("value") or ""))
        elif self._inside and tag == "textarea":
            self._textarea = attributes.get("name")
            self.fields.append((self._textarea, ""))

    def handle_data(self, data):
        if self._textarea and self.fields:
            name, value = self.fields[-1]
            self.fields[-1] = (name, value + data)

    def handle_endtag(self, tag):
        if tag == "form":
            self._inside = False
        elif tag == "textarea":
            self._textarea = None


class Browser:
    """Cookies in a file, and forms sent as their pages had them."""

    def __init__(self, jar):
        self.cookies = http.cookiejar.LWPCookieJar(jar)
        if os.path.exists(jar):
            self.cookies.load(ignore_discard=True)
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(self.cookies),
        )

    def fetch(self, url, fields=None):
        request = urllib.request.Request(url)
        if fields is not None:
            origin = urllib.parse.urlsplit(url)
            request.add_header("Origin", f"{origin.scheme}://{origin.netloc}")
            request.data = urllib.parse.urlencode(fields).encode()
        try:
            with self.opener.open(request, timeout=30) as answer:
                page, arrived = answer.read().decode(), answer.geturl()
        except urllib.error.HTTPError as refusal:
            sys.exit(f"{url}: {refusal.code}\n{refusal.read().decode()}")
        self.cookies.save(ignore_discard=True)
        os.chmod(self.cookies.filename, 0o600)
        return arrived, page

    def submit(self, url, wanted, changes):
        arrived, page = self.fetch(url)
        form = Form(wanted)
        form.feed(page)
        if form.action is None:
            sys.exit(f"{arrived} has no form for {wanted}")
        fields = change(form.fields, changes)
        return self.fetch(urllib.parse.urljoin(arrived, form.action), fields)


def change(fields, changes):
    for text in changes:
        name, _, value = text.partition("=")
        if name.startswith("-"):
            whole = "=" not in text
            fields = [f for f in fields if f[0] != name[1:] or not (whole or f[1] == value)]
        elif any(field == name for field, _ in fields):
            fields = [(field, value if field == name else old) for field, old in fields]
        else:
            fields = [*fields, (name, value)]
    return fields


def main(jar, action, url, *rest):
    browser = Browser(jar)
    if action == "setup":
        user, password = rest
        browser.submit(
            url,
            "/setup/",
            [f"user_name={user}", f"password={password}", f"password_again={password}"],
        )
    elif action == "sign-in":
        user, password = rest
        page = urllib.parse.urljoin(url, "/sign-in")
        browser.submit(page, "/sign-in", [f"user_name={user}", f"password={password}"])
    elif action == "decide":
        decision, *changes = rest
        browser.submit(url, "/approvals/", [*changes, f"decision={decision}"])
    elif action == "end":
        (session,) = rest
        page = urllib.parse.urljoin(url, f"/sessions/{session}")
        browser.submit(page, f"/sessions/{session}/revoke", [])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
