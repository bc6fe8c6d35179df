// The declarations say what the modules are.
import type * as declared from "@tether-rt/client";
import * as actual from "../src/index.js";

actual satisfies typeof declared;
