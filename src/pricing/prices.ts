/**
 * The prices Headgate ships with: one look-up over the committed table. Called once for each upstream attempt and by
 * least-cost routing. To bring the table up to date see prices.ts.
 */
import { createPriceFinder, type PriceFinder } from "./price-finder.ts";
import { PRICE_TABLE } from "./price-table.ts";

/** Finds a model's list price by provider kind (`openai`, `bedrock`, …) and the id the upstream knows the model by. */
export const findPrice: PriceFinder = createPriceFinder(PRICE_TABLE);
