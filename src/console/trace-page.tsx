/** The page /console/trace. */

import { render } from "preact";
import { TraceScreen } from "./screens/trace.tsx";

render(<TraceScreen />, document.body);
