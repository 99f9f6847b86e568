/** The page /console/queues. */

import { render } from "preact";
import { QueuesScreen } from "./screens/queues.tsx";

render(<QueuesScreen />, document.body);
