import { VERDICTS } from "../../search/delivery_filter.js";
import { html } from "../../ui.js";

export const Verdict = ({ verdict }) => html`<span class="status" data-verdict=${verdict}>${VERDICTS[verdict] ?? verdict}</span>`;
