/** Puts the page together: identity, sound, the call, and the parts that show the view. */
import { fetchConfig } from "./api.ts";
import { TestHooks } from "./hooks.ts";
import { Call } from "./link/call.ts";
import { fromResponse } from "./link/errors.ts";
import { Tabs } from "./link/tabs.ts";
import { Sound } from "./media/sound.ts";
import { Identity } from "./session.ts";
import { Store } from "./store.ts";
import { bindComposer, fillComposer, restoreComposer } from "./ui/composer.ts";
import { askFirst } from "./ui/confirm.ts";
import { bindControls, renderControls } from "./ui/controls.ts";
import { byId, child, setText } from "./ui/dom.ts";
import { renderExamples } from "./ui/examples.ts";
import { runMeter } from "./ui/meter.ts";
import { bindNotice, renderNotice } from "./ui/notice.ts";
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
  forced: new URLSearchParams(location.search).get("transport"),
  onUnsent: restoreComposer,
  onOpened: () => tabs.take(identity.session),
});

bindControls({
  talk: () => void call.talk(),
  hangUp: () => void call.hangUp(),
  setMuted: (muted) => call.setMuted(muted),
});
bindComposer((text) => void call.say(text));
bindNotice(() => store.dispatch({ type: "notice", notice: null }));

store.subscribe((view, previous) => {
  renderControls(view);
  renderNotice(view);
  renderTranscript(view, previous);
  renderTasks(view, previous, (task) => call.cancelTask(task));
});

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
  }),
);

addEventListener("pointerdown", () => sound.resume(), { capture: true });
addEventListener("keydown", () => sound.resume(), { capture: true });
addEventListener("pagehide", () => call.leave());

async function loadConfig(): Promise<void> {
  try {
    const config = await fetchConfig(identity);
    renderExamples(config.templates, fillComposer);
    setTranscriptHint(config.templates[0]?.example ?? null);
    setText(byId("version", HTMLElement), config.version === "" ? "Sisyphus" : `Sisyphus ${config.version}`);
    store.dispatch({ type: "voice", voice: config.voice });
    if (!config.voice.ready) setTimeout(() => void loadConfig(), CONFIG_RETRY_MS);
  } catch (error) {
    if (error instanceof Response) {
      const { message } = await fromResponse(error);
      store.dispatch({ type: "notice", notice: { tone: "error", text: message } });
    }
    setTimeout(() => void loadConfig(), CONFIG_RETRY_MS);
  }
}

setTranscriptHint(null);
renderExamples([], fillComposer);
void loadConfig();
