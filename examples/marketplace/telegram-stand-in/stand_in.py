"""The part of Telegram's Bot API that the marketplace uses, and a page to talk to the bot.

    python stand_in.py      listens on $PORT, else 8081

Like a Bot API server of one's own (`--local`) it delivers to plain HTTP too. As with the real one, an update
that isn't answered by 2xx is delivered again. Beside the API: POST /stand-in/say {"chat", "name", "text"}
answers with the bot's reply once there is one; GET /stand-in/messages?chat=N lists a chat's messages.
"""

import html
import itertools
import json
import os
import re
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit

PATIENCE = 30  # seconds that an update is delivered again for

PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Chat with the bot</title>
  <link rel="icon" href="data:,">
  <style>
    :root { --ink: #1c2430; --quiet: #5c6675; --line: #d9dee6; --paper: #fff; --wash: #f5f7fa; --mine: #dcebfb; --link: #0b57a4; }
    @media (prefers-color-scheme: dark) {
      :root { --ink: #e8ecf2; --quiet: #9aa5b4; --line: #343d4a; --paper: #171c23; --wash: #1f2630; --mine: #23405f; --link: #7ab7f5; }
    }
    * { box-sizing: border-box; }
    body { margin: 0; background: var(--wash); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
    main { max-width: 36rem; margin: 0 auto; padding: 1.5rem 1.25rem; }
    h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .5rem; }
    .quiet { color: var(--quiet); }
    ol { list-style: none; padding: 0; display: grid; gap: .5rem; }
    li { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; padding: .4rem .75rem; white-space: pre-line; overflow-wrap: anywhere; justify-self: start; max-width: 85%%; }
    li.mine { background: var(--mine); justify-self: end; }
    form { display: flex; flex-wrap: wrap; gap: .5rem; align-items: end; }
    label { font-weight: 600; }
    label.name { flex: 0 1 8rem; }
    label.text { flex: 1 1 14rem; }
    input, button { font: inherit; padding: .5rem .6rem; border-radius: 4px; border: 1px solid var(--quiet); background: var(--paper); color: inherit; }
    input { display: block; width: 100%%; }
    button { background: var(--link); border-color: var(--link); color: var(--paper); font-weight: 600; cursor: pointer; }
    :focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
  </style>
</head>
<body>
  <main>
    <h1>Chat with the bot</h1>
    <p class="quiet">%(state)s</p>
    <ol>%(messages)s</ol>
    <form method="post" action="/">
      <label class="name">You are <input name="name" value="%(name)s" required maxlength="40"></label>
      <label class="text">Message <input name="text" required autofocus maxlength="500" autocomplete="off" placeholder="/start"></label>
      <button>Send</button>
    </form>
  </main>
</body>
</html>
"""


class Bot:
    """What a bot has set, and its chats."""

    def __init__(self, number):
        self.number = number
        self.webhook = ""
        self.commands = []
        self.pending = 0
        self.last_error = None

    def user(self):
        return {"id": self.number, "is_bot": True, "first_name": "Marketplace", "username": "marketplace_bot"}


class State:
    """All bots and messages."""

    def __init__(self):
        self.lock = threading.Lock()
        self.bots = {}
        self.messages = {}
        self.message_numbers = itertools.count(1)
        # As with the real one the numbers of updates go on where they were, though this program starts anew.
        self.update_numbers = itertools.count(int(time.time() * 1000))

    def bot(self, token):
        with self.lock:
            if token not in self.bots:
                self.bots[token] = Bot(int(token.partition(":")[0]))
            return self.bots[token]

    def message(self, chat, sender, text):
        private = {"id": chat, "type": "private", "first_name": sender["first_name"]}
        with self.lock:
            number = next(self.message_numbers)
            message = {"message_id": number, "date": int(time.time()), "chat": private, "from": sender, "text": text}
            if text.startswith("/"):
                message["entities"] = [{"type": "bot_command", "offset": 0, "length": len(text.split()[0])}]
            self.messages.setdefault(chat, []).append(message)
        return message

    def deliver(self, bot, message):
        """Delivers an update until it is answered; `(reply, attempts)`."""
        with self.lock:
            update = {"update_id": next(self.update_numbers), "message": message}
            bot.pending += 1
        content = json.dumps(update).encode()
        until = time.monotonic() + PATIENCE
        try:
            for attempt in itertools.count(1):
                try:
                    if not bot.webhook:
                        raise OSError("no webhook is set")
                    request = urllib.request.Request(bot.webhook, content, {"Content-Type": "application/json"})
                    with urllib.request.urlopen(request, timeout=10) as answer:
                        said = json.loads(answer.read() or b"{}")
                    break
                except (OSError, ValueError) as error:
                    status = getattr(error, "code", None)
                    words = f"Wrong response from the webhook: {status}" if status else str(error)
                    with self.lock:
                        bot.last_error = (int(time.time()), words)
                    if time.monotonic() > until:
                        return None, attempt
                    time.sleep(min(0.25 * attempt, 2))
        finally:
            with self.lock:
                bot.pending -= 1
        if said.get("method") == "sendMessage":
            self.message(int(said["chat_id"]), bot.user(), str(said["text"]))
            return said["text"], attempt
        return "", attempt


class Failed(Exception):
    """An answer with `ok` false."""

    def __init__(self, status, description):
        super().__init__(description)
        self.status = status


class Telegram(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    state = State()

    def do_GET(self):
        self.answer()

    def do_POST(self):
        self.answer()

    def answer(self):
        parts = urlsplit(self.path)
        found = re.fullmatch(r"/bot([^/]*)/(\w+)", parts.path)
        try:
            given = self.parameters(parts.query)
            if found:
                said = {"ok": True, "result": self.method(found[1], found[2], given)}
                self.send(200, json.dumps(said), "application/json")
            elif parts.path == "/stand-in/say":
                self.send(200, json.dumps(self.say(given)), "application/json")
            elif parts.path == "/stand-in/messages":
                with self.state.lock:
                    messages = list(self.state.messages.get(int(given["chat"]), []))
                self.send(200, json.dumps(messages), "application/json")
            elif parts.path == "/" and self.command == "POST":
                self.say({"chat": chat_of(given["name"]), **given})
                self.send(303, "", "text/plain", {"Location": f"/?name={quote(given['name'])}"})
            elif parts.path == "/":
                self.send(200, self.page(given.get("name") or "Ann"), "text/html; charset=utf-8")
            else:
                raise Failed(404, "Not Found")
        except Failed as failed:
            body = {"ok": False, "error_code": failed.status, "description": str(failed)}
            self.send(failed.status, json.dumps(body), "application/json")
        except (KeyError, ValueError) as error:
            body = {"ok": False, "error_code": 400, "description": f"Bad Request: {error}"}
            self.send(400, json.dumps(body), "application/json")

    def parameters(self, query):
        """As the real one takes them: in the query, as a form or as JSON."""
        given = {name: values[-1] for name, values in parse_qs(query).items()}
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if content and "json" in self.headers.get("Content-Type", ""):
            given.update(json.loads(content))
        elif content:
            given.update({name: values[-1] for name, values in parse_qs(content.decode()).items()})
        return given

    def method(self, token, name, given):
        if not re.fullmatch(r"\d+:[\w-]+", token):
            raise Failed(401, "Unauthorized")
        bot = self.state.bot(token)
        match name.lower():
            case "getme":
                return {**bot.user(), "can_join_groups": True, "can_read_all_group_messages": False, "supports_inline_queries": False}
            case "setwebhook":
                url = given.get("url", "")
                if url and not url.startswith(("http://", "https://")):
                    raise Failed(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
                bot.webhook = url
                return True
            case "deletewebhook":
                bot.webhook = ""
                return True
            case "getwebhookinfo":
                said = {"url": bot.webhook, "has_custom_certificate": False, "pending_update_count": bot.pending}
                if bot.last_error:
                    said["last_error_date"], said["last_error_message"] = bot.last_error
                return said
            case "setmycommands":
                commands = given["commands"]
                bot.commands = json.loads(commands) if isinstance(commands, str) else commands
                return True
            case "getmycommands":
                return bot.commands
            case "sendmessage":
                if not given.get("text"):
                    raise Failed(400, "Bad Request: message text is empty")
                return self.state.message(int(given["chat_id"]), bot.user(), given["text"])
        raise Failed(404, "Not Found")

    def say(self, given):
        """Somebody's message to the bot that has set a webhook last."""
        with self.state.lock:
            bots = [bot for bot in self.state.bots.values() if bot.webhook]
        bot = bots[-1] if bots else Bot(0)
        chat = int(given["chat"])
        sender = {"id": chat, "is_bot": False, "first_name": str(given.get("name", "Ann"))}
        begun = time.monotonic()
        message = self.state.message(chat, sender, str(given["text"]))
        if not bot.webhook:
            return {"reply": None, "attempts": 0, "ms": 0}
        reply, attempts = self.state.deliver(bot, message)
        return {"reply": reply, "attempts": attempts, "ms": round((time.monotonic() - begun) * 1000, 1)}

    def page(self, name):
        with self.state.lock:
            messages = list(self.state.messages.get(chat_of(name), []))[-50:]
            webhooks = [bot for bot in self.state.bots.values() if bot.webhook]
        if not webhooks:
            state = "The bot has not set a webhook yet."
        elif webhooks[-1].pending:
            state = f"{webhooks[-1].pending} of the messages wait for the bot."
        else:
            state = "This stands in for Telegram. Another name is another person."
        items = "".join(
            f'<li{"" if message["from"]["is_bot"] else " class=mine"}>{html.escape(message["text"])}</li>' for message in messages
        )
        return PAGE % {"state": state, "messages": items, "name": html.escape(name)}

    def send(self, status, body, kind, headers=None):
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, form, *values):
        # The address of a call holds the bot's token.
        print(re.sub(r"/bot\d+:[\w-]+", "/bot…", form % values), flush=True)


def chat_of(name):
    """The same person is the same chat."""
    return int.from_bytes(name.strip().lower().encode()[:6], "big") or 1


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512


if __name__ == "__main__":
    server = Server(("0.0.0.0", int(os.environ.get("PORT", "8081"))), Telegram)
    # As the first process of a container nothing ends this one unless it says so itself.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"listening on {server.server_port}", flush=True)
    server.serve_forever()
