/** zod's own messages for faults, in English: `zod/mini` brings none. Imported by what shows them to clients or operators. */

import * as z from "zod/mini";
import english from "zod/v4/locales/en.js";

z.config(english());
