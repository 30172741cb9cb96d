/** Puts the page together: identity, sound, the call, and the parts that show the view. */
import { cancelTask, fetchConfig } from "./api.ts";
import { TestHooks } from "./hooks.ts";
import { Call } from "./link/call.ts";
import { toLinkError } from "./link/errors.ts";
import { Follower } from "./link/follow.ts";
import { openAny } from "./link/route.ts";
import { Tabs } from "./link/tabs.ts";
import { Sound } from "./media/sound.ts";
import { Identity, keepSilence, wantsSilence } from "./session.ts";
import { Store } from "./store.ts";
import { bindComposer, fillComposer, restoreComposer } from "./ui/composer.ts";
import { askFirst } from "./ui/confirm.ts";
import { bindControls, renderControls } from "./ui/controls.ts";
import { byId, child, setText } from "./ui/dom.ts";
import { renderExamples } from "./ui/examples.ts";
import { runMeter } from "./ui/meter.ts";
import { renderNews } from "./ui/news.ts";
import { bindNotice, renderNotice } from "./ui/notice.ts";
import type { CardActions } from "./ui/task_card.ts";
import { renderTasks } from "./ui/tasks.ts";
import { renderTranscript, setTranscriptHint } from "./ui/transcript.ts";

/** How often to ask again while the server is away or still loads its voice. */
const CONFIG_RETRY_MS = 3_000;

const identity = new Identity();
const store = new Store();
const hooks = new TestHooks();
const sound = new Sound(byId("bot-audio", HTMLAudioElement));
const tabs = new Tabs(
  () => identity.session,
  () => {
    if (store.view.link.phase === "idle") return;
    void call.hangUp();
    store.dispatch({ type: "notice", notice: { tone: "info", text: "This session goes on in another tab." } });
  },
);
const call = new Call({
  store,
  identity,
  sound,
  hooks,
  open: openAny,
  forced: new URLSearchParams(location.search).get("transport"),
  onUnsent: restoreComposer,
  onOpened: () => tabs.take(identity.session),
});

bindControls({
  talk: () => void call.talk(),
  hangUp: () => void call.hangUp(),
  setMuted: (muted) => call.setMuted(muted),
  setSilent: (silent) => {
    keepSilence(silent);
    setSilent(silent);
  },
});
bindComposer((text) => void call.say(text));
bindNotice(() => store.dispatch({ type: "notice", notice: null }), byId("request", HTMLInputElement));

const cards: CardActions = {
  identity,
  onFailed: (error) => void showError(error),
  cancel: async (task) => {
    try {
      await cancelTask(identity, task);
      follower.wake();
      return true;
    } catch (error) {
      await showError(error);
      return false;
    }
  },
};

store.subscribe((view, previous) => {
  renderControls(view);
  renderNotice(view);
  renderTranscript(view, previous);
  renderTasks(view, previous, cards);
  renderNews(view, previous);
});
const follower = new Follower(store, identity);
setSilent(wantsSilence());

function setSilent(silent: boolean): void {
  sound.silenceAll(silent);
  store.dispatch({ type: "silent", silent });
}

async function showError(error: unknown): Promise<void> {
  const { message } = await toLinkError(error);
  store.dispatch({ type: "notice", notice: { tone: "error", text: message } });
}

runMeter(() => {
  hooks.heard(sound.remoteLevel());
  return { local: sound.localLevel(), visible: store.view.link.phase === "online" && store.view.link.mode === "voice" };
});

const renew = byId("renew", HTMLElement);
askFirst(
  renew,
  child(renew, "button", HTMLButtonElement),
  { text: "Start afresh? Running tasks go on, but this page will no longer show them.", yes: "New session", no: "Stay" },
  () => void call.hangUp().then(() => {
    identity.renew();
    store.dispatch({ type: "new_session" });
    follower.wake();
  }),
);

addEventListener("pointerdown", () => sound.resume(), { capture: true });
addEventListener("keydown", () => sound.resume(), { capture: true });
addEventListener("pagehide", () => call.leave());

let hasConfig = false;

async function loadConfig(): Promise<void> {
  try {
    const config = await fetchConfig(identity);
    hasConfig = true;
    renderExamples(config.templates, fillComposer);
    setTranscriptHint(config.templates[0]?.example ?? null);
    setText(byId("version", HTMLElement), config.version === "" ? "Sisyphus" : `Sisyphus ${config.version}`);
    store.dispatch({ type: "voice", voice: config.voice });
  } catch {
    // That the server is away, or refuses, is said by whoever follows the session.
  }
}

setTranscriptHint(null);
renderExamples([], fillComposer);
void loadConfig();
setInterval(() => {
  if (!hasConfig || !store.view.voice.ready) void loadConfig();
}, CONFIG_RETRY_MS);
follower.wake();
